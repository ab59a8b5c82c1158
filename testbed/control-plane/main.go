// Command control-plane is a Kubernetes control plane in one program: etcd,
// kube-apiserver or kube-scheduler, chosen by its name (a link called
// kube-scheduler) or by its first argument. The three must not share a process:
// component globals, flags and metric registries are one per process.
//
// kube-apiserver and kube-scheduler are the commands upstream ships, untouched.
// etcd is the server as a library; it takes the few flags a testbed needs.
package main

import (
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // rest_client metrics, as upstream's main
	_ "k8s.io/component-base/metrics/prometheus/version"  // build information, as upstream's main
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

const usage = "usage: control-plane etcd|kube-apiserver|kube-scheduler [flags]"

func main() {
	name := filepath.Base(os.Args[0])
	if !known(name) {
		if len(os.Args) < 2 || !known(os.Args[1]) {
			fmt.Fprintln(os.Stderr, usage)
			os.Exit(2)
		}
		name = os.Args[1]
		os.Args = append([]string{name}, os.Args[2:]...)
	}
	switch name {
	case "etcd":
		if err := etcd(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "etcd:", err)
			os.Exit(1)
		}
	case "kube-apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "kube-scheduler":
		os.Exit(cli.Run(scheduler.NewSchedulerCommand()))
	}
}

func known(name string) bool {
	return name == "etcd" || name == "kube-apiserver" || name == "kube-scheduler"
}

// etcd runs one member until SIGTERM or SIGINT. The flags carry the names of the
// real etcd's, so a real etcd can stand in for this one.
func etcd(args []string) error {
	flags := flag.NewFlagSet("etcd", flag.ExitOnError)
	name := flags.String("name", "default", "name of the member")
	dir := flags.String("data-dir", "", "folder of the member's data")
	client := flags.String("listen-client-urls", "http://127.0.0.1:2379", "where clients connect")
	peer := flags.String("listen-peer-urls", "http://127.0.0.1:2380", "where peers would connect")
	flags.String("advertise-client-urls", "", "ignored: the same as listen-client-urls")
	flags.String("initial-advertise-peer-urls", "", "ignored: the same as listen-peer-urls")
	flags.String("initial-cluster", "", "ignored: one member")
	noFsync := flags.Bool("unsafe-no-fsync", false, "do not flush to disk")
	level := flags.String("log-level", "warn", "zap log level")
	quota := flags.Int64("quota-backend-bytes", 4<<30, "largest database")
	if err := flags.Parse(args); err != nil {
		return err
	}
	clientURL, err := url.Parse(*client)
	if err != nil {
		return fmt.Errorf("--listen-client-urls %q: %w", *client, err)
	}
	peerURL, err := url.Parse(*peer)
	if err != nil {
		return fmt.Errorf("--listen-peer-urls %q: %w", *peer, err)
	}
	config := embed.NewConfig()
	config.Name, config.Dir = *name, *dir
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{*clientURL}, []url.URL{*clientURL}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{*peerURL}, []url.URL{*peerURL}
	config.InitialCluster = config.InitialClusterFromName(*name)
	config.UnsafeNoFsync, config.LogLevel, config.QuotaBackendBytes = *noFsync, *level, *quota
	member, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	defer member.Close()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	select {
	case <-stop:
		return nil
	case err := <-member.Err():
		return err
	}
}
