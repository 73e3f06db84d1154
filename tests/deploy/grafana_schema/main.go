// Reads boards by Grafana's own schema, strictly: unknown or missing fields, wrong types and broken constraints are printed,
// with exit status 1.
package main

import (
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

func main() {
	runtime := cog.NewRuntime()
	runtime.RegisterPanelcfgVariant(stat.VariantConfig())
	runtime.RegisterPanelcfgVariant(table.VariantConfig())
	runtime.RegisterPanelcfgVariant(timeseries.VariantConfig())
	runtime.RegisterDataqueryVariant(prometheus.VariantConfig())
	failed := false
	for _, name := range os.Args[1:] {
		board := dashboard.Dashboard{}
		raw, err := os.ReadFile(name)
		complaint := said(err)
		if complaint == "" {
			complaint = said(board.UnmarshalJSONStrict(raw))
		}
		if complaint == "" {
			complaint = said(board.Validate())
		}
		if complaint != "" {
			fmt.Printf("%s:\n%s\n", name, complaint)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

// The library's list of errors is no nil when it is empty.
func said(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
