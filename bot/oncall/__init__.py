"""On call: rotas are rendered, and whoever is on call now is known to everybody who asks."""
