module purpleflea.com/sandbox/pause

go 1.26.0
