"""The provider's local stand-in: its contract over real HTTP, with faults on switches and an honest bill.

It imports nothing of the package around it, so that client and sandbox can't share a mistake.
"""
