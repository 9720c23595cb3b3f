// Makes single calls by the client that `cargo murmur clients` has made for page-traffic.
//
//	ask URL one [CA]      makes one call with a token; prints how it ended; CA is a file of authorities
//	ask URL brief         the same with a deadline of a second
//	ask URL watch         prints the views in two replies, each when it comes
//	ask URL absence=MS    watches, and asks for a server that is away for so many milliseconds; prints how that ended
//	ask URL renew         watches with another token each time; prints how that ended
//	ask URL unfit         tries a token that is none; prints what is said of it
//	ask URL fine          asks about half a microsecond, then about one and a half; prints what is said of the first
//
// How a call ended is the number of gRPC's code.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/status"

	client "page-traffic-client"
)

// Long, as a machine that is busy is no reason to fail.
const patience = 300 * time.Second

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

// How a stream begins.
func printFirst(asking *client.PageTrafficClient) {
	for _, err := range asking.Watch(context.Background(), &client.PageTrafficKey{}, 0) {
		fmt.Println(int(status.Code(err)))
		return
	}
}

func main() {
	url, asked := os.Args[1], os.Args[2]
	ctx := context.Background()
	if asked == "watch" {
		count := 0
		for reply, err := range must(client.NewPageTrafficClient(url)).Watch(ctx, &client.PageTrafficKey{PageId: "/home"}, 0) {
			fmt.Printf("\"%d\"\n", must(reply, err).GetValue().GetViews())
			if count++; count == 2 {
				return
			}
		}
	}
	if milliseconds, found := strings.CutPrefix(asked, "absence="); found {
		absence := client.WithAbsence(time.Duration(must(strconv.Atoi(milliseconds))) * time.Millisecond)
		asking := must(client.NewPageTrafficClient(url, absence, client.WithToken("secret\n")))
		printFirst(asking)
		return
	}
	if asked == "renew" {
		tokens := []string{"first", "second", "third"}
		next := func(context.Context) (string, error) {
			token := tokens[0]
			tokens = tokens[1:]
			return token, nil
		}
		printFirst(must(client.NewPageTrafficClient(url, client.WithTokenSource(next))))
		return
	}
	if asked == "unfit" {
		asking := must(client.NewPageTrafficClient(url, client.WithToken("two\ns3cr\u00e9ts")))
		_, err := asking.Get(ctx, &client.PageTrafficKey{})
		fmt.Printf("%v %#v\n", err, err)
		for _, err := range asking.Watch(ctx, &client.PageTrafficKey{}, 0) {
			fmt.Printf("%v %#v\n", err, err)
		}
		return
	}
	if asked == "fine" {
		asking, key, start := must(client.NewPageTrafficClient(url)), &client.PageTrafficKey{}, time.Unix(0, 0)
		_, err := asking.Range(ctx, key, start, start.Add(500))
		fmt.Println(err)
		must(asking.Range(ctx, key, start, start.Add(1500)))
		return
	}
	timeout, known := map[string]time.Duration{"one": patience, "brief": time.Second}[asked]
	if !known {
		log.Fatalf("%q is not known", asked)
	}
	options := []client.Option{client.WithToken("secret\n"), client.WithTimeout(timeout)}
	if len(os.Args) > 3 {
		authorities := x509.NewCertPool()
		authorities.AppendCertsFromPEM(must(os.ReadFile(os.Args[3])))
		options = append(options, client.WithTLS(&tls.Config{RootCAs: authorities}))
	}
	asking := must(client.NewPageTrafficClient(url, options...))
	_, err := asking.Get(ctx, &client.PageTrafficKey{PageId: "/home"})
	fmt.Println(int(status.Code(err)))
}
