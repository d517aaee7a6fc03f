"""What can be trained: one file a task, with its data, its sizes and what it is to show."""
