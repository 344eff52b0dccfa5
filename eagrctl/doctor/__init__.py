"""Can eagrctl work here? What is installed, what the machine has, and what to do about what is missing."""
