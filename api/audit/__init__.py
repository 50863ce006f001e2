"""The audit log: who saw or changed whom, sealed so that no change to it goes unseen."""
