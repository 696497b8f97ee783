"""What the server tells about itself: metrics and logs, each name defined once."""
