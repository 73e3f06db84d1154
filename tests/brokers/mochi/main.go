// The broker mochi-mqtt on loopback, open to everybody, with the limits that it is given.
package main

import (
	"flag"
	"log"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
)

func main() {
	port := flag.String("port", "1883", "port on loopback")
	packet := flag.Uint("packet-bytes", 0, "largest packet, 0 for no limit")
	unacknowledged := flag.Uint("unacknowledged", 1024, "Receive Maximum")
	flag.Parse()
	limits := mqtt.NewDefaultServerCapabilities()
	limits.MaximumPacketSize = uint32(*packet)
	limits.ReceiveMaximum = uint16(*unacknowledged)
	server := mqtt.New(&mqtt.Options{Capabilities: limits})
	if err := server.AddHook(new(auth.AllowHook), nil); err != nil {
		log.Fatal(err)
	}
	if err := server.AddListener(listeners.NewTCP(listeners.Config{ID: "t", Address: "127.0.0.1:" + *port})); err != nil {
		log.Fatal(err)
	}
	if err := server.Serve(); err != nil {
		log.Fatal(err)
	}
	select {}
}
