"""Vector stores behind one Protocol: `base` says what one does; `exact` is the reference in memory."""
