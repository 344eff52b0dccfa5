"""The command line: it unpacks options, calls the library, and draws what the library tells."""
