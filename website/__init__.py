"""The course as a site: pages made from the notebooks and cards as they are, without running anything."""
