"""Which position of which sequence each row of a tensor is, followed operator by operator."""
