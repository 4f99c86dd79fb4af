"""Contrastive pre-training: encoders, heads, losses, views, SimCLR and SimSiam.

This package knows tensors. It knows nothing of cities, files of tiles, or PM2.5.
"""
