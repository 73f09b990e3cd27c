module purpleflea.com/sandbox/probe

go 1.26.0
