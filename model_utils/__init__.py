"""All that surrounds the contrastive method: cities, archives, pairs, splits, estimators, statistics."""
