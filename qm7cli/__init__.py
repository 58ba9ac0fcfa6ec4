"""Train, evaluate and compare pre-bias networks on the QM7 atomization energies."""

__version__ = "0.1.0"
