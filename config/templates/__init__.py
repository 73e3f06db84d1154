"""Machine templates, equipment and state profiles."""
