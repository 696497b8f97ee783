"""A model folder to something that turns texts into tokens and tokens into vectors."""
