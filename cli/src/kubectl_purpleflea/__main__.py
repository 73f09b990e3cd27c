"""Entry point of the console script and of the zipapp."""

from kubectl_purpleflea.application import main

if __name__ == "__main__":
    main()
