"""Tools that revert changes (Argo CD, Flux, Helm, operators), and Argo CD's auto-sync."""
