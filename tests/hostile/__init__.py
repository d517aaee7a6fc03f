"""Files that lie, made by code, each opened in a child process with little time and memory: refused in a sentence, or right."""
