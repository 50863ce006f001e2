"""Cases: who must be seen by when. The same file names as in every resource folder."""
