"""What runs in the cluster, a module each: ``images()`` that it needs, ``install()``, and ``ready()``, which waits."""
