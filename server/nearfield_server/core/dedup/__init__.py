"""Items that say what earlier ones said: a stream compared with itself, with a collection, or with both.

nouns         what goes in and comes out
exact         the same text, or the same vector
index         the nearest of the vectors seen so far
lexical       whether words agree, and which texts share many (MinHash, written with numpy)
levels        what "strict", "normal" and "loose" mean for a model
seen          all that a stream has seen; decides in the order of the stream
stored        the nearest points of a collection
deduplicator  the use case: embeds, looks up, decides
"""
