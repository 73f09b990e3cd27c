package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

const driverLimit = time.Minute

// registrar registers the driver with the kubelet and receives the result of the registration.
type registrar struct {
	registration.UnimplementedRegistrationServer
	name, endpoint string
	refused        chan error
}

func register(ctx context.Context, driver, endpoint, folder string) error {
	name, err := nameOf(ctx, driver)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r := &registrar{name: name, endpoint: endpoint, refused: make(chan error, 1)}
	go func() {
		select {
		case err := <-r.refused:
			stop(err)
		case <-ctx.Done():
		}
	}()
	server := grpc.NewServer()
	registration.RegisterRegistrationServer(server, r)
	if err := serve(ctx, filepath.Join(folder, name+"-reg.sock"), server); err != nil {
		return err
	}
	if cause := context.Cause(ctx); cause != context.Canceled {
		return cause
	}
	return nil
}

// nameOf requests the name from the driver, which may still be starting.
func nameOf(ctx context.Context, driver string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, driverLimit)
	defer cancel()
	connection, err := grpc.NewClient(
		"unix://"+driver, grpc.WithTransportCredentials(insecure.NewCredentials()),
	)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	answer, err := csi.NewIdentityClient(connection).GetPluginInfo(
		ctx, &csi.GetPluginInfoRequest{}, grpc.WaitForReady(true),
	)
	if err != nil {
		return "", fmt.Errorf("the driver does not respond at %s: %w", driver, err)
	}
	return answer.GetName(), nil
}

func (r *registrar) GetInfo(
	context.Context, *registration.InfoRequest,
) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{
		Type:              registration.CSIPlugin,
		Name:              r.name,
		Endpoint:          r.endpoint,
		SupportedVersions: []string{"1.0.0"},
	}, nil
}

func (r *registrar) NotifyRegistrationStatus(
	_ context.Context, answer *registration.RegistrationStatus,
) (*registration.RegistrationStatusResponse, error) {
	if !answer.GetPluginRegistered() {
		select {
		case r.refused <- fmt.Errorf("the kubelet rejected the driver: %s", answer.GetError()):
		default:
		}
	}
	return &registration.RegistrationStatusResponse{}, nil
}
