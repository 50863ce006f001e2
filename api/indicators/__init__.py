"""Indicators over the API: figures, the persons behind them, closed periods."""
