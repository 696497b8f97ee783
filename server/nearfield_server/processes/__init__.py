"""Child processes of ours, which work beside the event loop, and what goes between them and the server."""
