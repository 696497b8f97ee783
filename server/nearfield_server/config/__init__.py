"""What can be set, where it was set, and what the machine gives. Nothing else in the server reads the environment."""
