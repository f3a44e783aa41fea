// Command openbao-plugin-secrets-nexus is an OpenBao secrets engine that hands out users of a Sonatype Nexus
// Repository: each read of creds/ROLE makes one, and the end of its lease deletes it.
package main

import (
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/openbao/openbao/api/v2"
	"github.com/openbao/openbao/sdk/v2/plugin"
)

// version is set by the toolchain that builds the program.
var version = "v0.0.0-dev"

func main() {
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Info, Output: os.Stderr, JSONFormat: true})
	meta := &api.PluginAPIClientMeta{}
	if err := meta.FlagSet().Parse(os.Args[1:]); err != nil {
		logger.Error("unknown arguments", "error", err)
		os.Exit(2)
	}
	err := plugin.ServeMultiplex(&plugin.ServeOpts{
		BackendFactoryFunc: Factory,
		TLSProviderFunc:    api.VaultPluginTLSProvider(meta.GetTLSConfig()),
		Logger:             logger,
	})
	if err != nil {
		logger.Error("the plugin ends", "error", err)
		os.Exit(1)
	}
}
