// An OPC UA server of gopcua, to be started as a child process: gopcua PORT FOLDER.
//
// Prints "up" when it listens. Reads commands from standard input, one a line, and answers "done": `set NAME VALUE`.
package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/server"
	"github.com/gopcua/opcua/ua"
)

const uri = "urn:nhip:test:gopcua"

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func certificate() ([]byte, *rsa.PrivateKey) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	check(err)
	name, err := url.Parse(uri)
	check(err)
	template := x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "gopcua"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment | x509.KeyUsageKeyEncipherment |
			x509.KeyUsageDataEncipherment | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		URIs:        []*url.URL{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true,
	}
	encoded, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	check(err)
	return encoded, key
}

func read(text string, like any) any {
	switch like.(type) {
	case bool:
		return text == "true"
	case int32:
		number, err := strconv.ParseInt(text, 10, 32)
		check(err)
		return int32(number)
	case float64:
		number, err := strconv.ParseFloat(text, 64)
		check(err)
		return number
	}
	return text
}

func main() {
	port, err := strconv.Atoi(os.Args[1])
	check(err)
	encoded, key := certificate()
	s := server.New(
		server.EnableSecurity("None", ua.MessageSecurityModeNone),
		server.EnableSecurity("Basic256Sha256", ua.MessageSecurityModeSignAndEncrypt),
		server.EnableAuthMode(ua.UserTokenTypeAnonymous), server.EndPoint("127.0.0.1", port),
		server.PrivateKey(key), server.Certificate(encoded),
	)
	root, err := s.Namespace(0)
	check(err)
	space := server.NewNodeNameSpace(s, "urn:nhip:test")
	machine := space.Objects()
	root.Objects().AddRef(machine, id.HasComponent, true)
	start := map[string]any{"count": int32(0), "running": false, "temperature": 20.5, "recipe": "A",
		"list": []int32{11, 22, 33}}
	for number := range 300 {
		start[fmt.Sprintf("n%d", number)] = int32(number)
	}
	nodes := map[string]*server.Node{}
	for name, value := range start {
		nodes[name] = space.AddNewVariableStringNode(name, value)
		machine.AddRef(nodes[name], id.HasComponent, true)
	}
	check(s.Start(context.Background()))
	fmt.Println("up")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		name, text := words[1], words[2]
		value := ua.DataValue{
			Value: ua.MustVariant(read(text, start[name])), SourceTimestamp: time.Now(),
			EncodingMask: ua.DataValueValue | ua.DataValueSourceTimestamp,
		}
		check(nodes[name].SetAttribute(ua.AttributeIDValue, &value))
		space.ChangeNotification(nodes[name].ID())
		fmt.Println("done")
	}
}
