"""From real safetensors to the lean ONNX graphs that the server runs.

`weights` reads a model folder, `graph` lays out the encoder, `rowwise` supplies its int8 layers, `verify` measures
what was lost, and `builtin` is the recipe of the encoder that ships with the server. No torch is needed anywhere.
"""
