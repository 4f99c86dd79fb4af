"""Maps of PM2.5: what is made of predictions on a grid."""
