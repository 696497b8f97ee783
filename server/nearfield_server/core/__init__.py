"""The use cases, free of protocols: which models are served, and how a call becomes vectors."""
