"""Simulated cities judge place effects where no station stands: there the truth is known at every site."""
