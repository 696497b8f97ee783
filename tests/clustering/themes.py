"""Sentences of our own on three themes, twelve each."""

THEMES = {
    "cooking": [
        "Whisk the eggs with sugar until the mixture turns pale and thick.",
        "Let the bread dough rise under a damp towel for two hours.",
        "Fry the onions slowly in butter before you add the garlic.",
        "A pinch of salt brings out the sweetness of ripe tomatoes.",
        "Roast the chicken at high heat so that the skin becomes crisp.",
        "Simmer the beans with a bay leaf until they are tender.",
        "Knead the pasta dough until it feels smooth and elastic.",
        "Fold the beaten egg whites into the chocolate batter gently.",
        "The soup needs more pepper and a squeeze of lemon juice.",
        "Grate the cheese over the baked potatoes while they are hot.",
        "Marinate the fish in olive oil, lime and fresh coriander.",
        "Bake the apple pie on the lowest rack of the oven.",
    ],
    "astronomy": [
        "The telescope photographed a spiral galaxy two million light years away.",
        "Jupiter's moons can be seen with a good pair of binoculars.",
        "A supernova outshone every other star of its galaxy for weeks.",
        "The probe measured the magnetic field of Saturn as it flew past.",
        "Astronomers found a planet that orbits a red dwarf star.",
        "The comet's tail always points away from the sun.",
        "Black holes bend the light of the stars behind them.",
        "The lunar eclipse coloured the moon a deep copper red.",
        "Radio waves from a distant pulsar arrive every second.",
        "The rover drilled into a rock on the surface of Mars.",
        "Dark matter holds clusters of galaxies together by gravity.",
        "Meteors of the Perseids burn up high in the atmosphere.",
    ],
    "support": [
        "I forgot my password and the reset email never arrives.",
        "The app crashes on my phone as soon as I log in.",
        "How do I cancel my subscription before the next invoice?",
        "My account was locked after too many failed login attempts.",
        "The website shows an error message when I upload a file.",
        "Please change the billing address on my account.",
        "I was charged twice for the same order this month.",
        "The software update fails with an unknown error code.",
        "Can I export my data from the old account to the new one?",
        "Two-factor authentication doesn't send me a login code.",
        "The download link in your email has expired already.",
        "Where can I see the invoices of my last payments?",
    ],
}
TEXTS = [text for texts in THEMES.values() for text in texts]
LABELS = [name for name, texts in THEMES.items() for _ in texts]
