// Command csi-driver replaces Datadog's CSI driver and its registrar, which the Go module proxy
// does not serve. It mounts the folders of the node agent's sockets into pods. Names, arguments and
// types are those of Datadog.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"
)

const driverName = "k8s.csi.datadoghq.com"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("usage: csi-driver driver|registrar OPTIONS")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	address := flags.String("csi-address", "/csi/csi.sock", "socket of the driver")
	switch args[0] {
	case "driver":
		apm := flags.String("apm-host-socket-path", "", "socket of the node agent for traces")
		dsd := flags.String("dsd-host-socket-path", "", "socket of the node agent for metrics")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return drive(ctx, *address, &driver{apm: *apm, dsd: *dsd, node: os.Getenv("NODE_ID")})
	case "registrar":
		path := flags.String("kubelet-registration-path", "", "socket of the driver as the kubelet sees it")
		folder := flags.String("registration-dir", "/registration", "folder in which the kubelet discovers drivers")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return register(ctx, *address, *path, *folder)
	}
	return fmt.Errorf("unknown command %q", args[0])
}

// serve serves requests at a Unix socket until the context ends or the server fails; then the
// socket is removed.
func serve(ctx context.Context, socket string, server *grpc.Server) error {
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, server.GracefulStop)()
	return server.Serve(listener)
}
