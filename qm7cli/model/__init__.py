"""From a molecule to a number: the encoder, the network and its variants, trained models and what they predict."""
