// Command probe is the program of a test pod. It serves its host name. When it is executed in the
// pod, it fetches, resolves, writes or reads, so that a test can check the cluster from inside.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const limit = 5 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("usage: probe serve|get|resolve|read ARGUMENT | probe write FILE TEXT")
	}
	switch args[0] {
	case "serve":
		return serve(args[1])
	case "get":
		return get(args[1])
	case "resolve":
		return resolve(args[1])
	case "read":
		content, err := os.ReadFile(args[1])
		fmt.Print(string(content))
		return err
	case "write":
		return os.WriteFile(args[1], []byte(strings.Join(args[2:], " ")), 0o600)
	}
	return fmt.Errorf("unknown command %q", args[0])
}

func serve(address string) error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	server := &http.Server{Addr: address, ReadHeaderTimeout: limit}
	server.Handler = http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(answer, name)
	})
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func get(url string) error {
	client := http.Client{Timeout: limit, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	fmt.Print(string(body))
	return err
}

func resolve(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, name)
	fmt.Print(strings.Join(addresses, " "))
	return err
}
