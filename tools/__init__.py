"""What a technician with a laptop and no internet needs: find, read, check and certify devices before they count."""
