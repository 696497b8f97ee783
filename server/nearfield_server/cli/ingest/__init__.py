"""How files become points: text and headings, chunks at sentences, and only what has changed is sent."""
