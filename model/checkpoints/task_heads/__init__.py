"""What a checkpoint's task head reads and gives: its inputs, its outputs in the record, the rows that it reads."""
