"""The app in a real Chromium, driven by Playwright."""
