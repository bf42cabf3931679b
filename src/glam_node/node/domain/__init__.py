"""Values and decisions of the node as plain data, without a database, network or file behind them."""
