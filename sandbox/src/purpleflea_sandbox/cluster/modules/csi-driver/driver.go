package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// driver publishes volumes by bind mounts. It keeps no state between calls.
type driver struct {
	csi.UnimplementedIdentityServer
	csi.UnimplementedNodeServer
	apm, dsd, node string
}

func drive(ctx context.Context, socket string, d *driver) error {
	server := grpc.NewServer()
	csi.RegisterIdentityServer(server, d)
	csi.RegisterNodeServer(server, d)
	return serve(ctx, socket, server)
}

func (d *driver) GetPluginInfo(
	context.Context, *csi.GetPluginInfoRequest,
) (*csi.GetPluginInfoResponse, error) {
	return &csi.GetPluginInfoResponse{Name: driverName, VendorVersion: "sandbox"}, nil
}

func (d *driver) GetPluginCapabilities(
	context.Context, *csi.GetPluginCapabilitiesRequest,
) (*csi.GetPluginCapabilitiesResponse, error) {
	return &csi.GetPluginCapabilitiesResponse{}, nil
}

func (d *driver) Probe(context.Context, *csi.ProbeRequest) (*csi.ProbeResponse, error) {
	return &csi.ProbeResponse{}, nil
}

func (d *driver) NodeGetCapabilities(
	context.Context, *csi.NodeGetCapabilitiesRequest,
) (*csi.NodeGetCapabilitiesResponse, error) {
	return &csi.NodeGetCapabilitiesResponse{}, nil
}

func (d *driver) NodeGetInfo(
	context.Context, *csi.NodeGetInfoRequest,
) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: d.node}, nil
}

func (d *driver) NodePublishVolume(
	_ context.Context, request *csi.NodePublishVolumeRequest,
) (*csi.NodePublishVolumeResponse, error) {
	target := request.GetTargetPath()
	kind := request.GetVolumeContext()["type"]
	source, err := d.source(kind)
	if err == nil {
		err = bind(source, target)
	}
	say("published", kind, target, err)
	if err != nil {
		return nil, err
	}
	return &csi.NodePublishVolumeResponse{}, nil
}

func (d *driver) NodeUnpublishVolume(
	_ context.Context, request *csi.NodeUnpublishVolumeRequest,
) (*csi.NodeUnpublishVolumeResponse, error) {
	target := request.GetTargetPath()
	err := unbind(target)
	say("unpublished", "", target, err)
	if err != nil {
		return nil, err
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

// source returns the folder of the node that a volume of this type shows. Datadog's driver also
// mounts single sockets, but a pod that mounts a single socket loses it when the node agent
// restarts.
func (d *driver) source(kind string) (string, error) {
	switch kind {
	case "APMSocketDirectory":
		return filepath.Dir(d.apm), nil
	case "DSDSocketDirectory":
		return filepath.Dir(d.dsd), nil
	}
	return "", status.Errorf(codes.InvalidArgument, "volume type %q is not supported", kind)
}

func bind(source, target string) error {
	from, err := os.Stat(source)
	if err != nil {
		return status.Errorf(codes.FailedPrecondition, "the source folder is missing: %v", err)
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		return status.Errorf(codes.Internal, "creating %s: %v", target, err)
	}
	// The kubelet repeats the call if it did not receive the response.
	if at, err := os.Stat(target); err == nil && os.SameFile(from, at) {
		return nil
	}
	if err := syscall.Mount(source, target, "", syscall.MS_BIND, ""); err != nil {
		return status.Errorf(codes.Internal, "mounting %s on %s: %v", source, target, err)
	}
	return nil
}

func unbind(target string) error {
	// If the target is not mounted or does not exist, an earlier call has already unmounted it.
	if err := syscall.Unmount(target, 0); err != nil &&
		!errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOENT) {
		return status.Errorf(codes.Internal, "unmounting %s: %v", target, err)
	}
	// Remove only an empty folder. If it were still mounted, its files would belong to the node agent.
	if err := os.Remove(target); err != nil && !os.IsNotExist(err) {
		return status.Errorf(codes.Internal, "removing %s: %v", target, err)
	}
	return nil
}

func say(done, kind, target string, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "not", done, kind, target, err)
		return
	}
	fmt.Fprintln(os.Stderr, done, kind, target)
}
