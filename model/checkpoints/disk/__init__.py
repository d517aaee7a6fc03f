"""What lies on disk, told from headers and configuration before anything is loaded."""
