// Asks by the client that `cargo murmur clients` has made for meters, whose key has a field of each type.
//
//	meters URL QUESTION      prints a JSON object with all replies; QUESTION is one too
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	client "murmur-tests-client"
	pb "murmur-tests-client/murmur_tests/v1"
	"murmur-tests-client/murmur_tests/v1/murmur"
)

// Long, as a machine that is busy is no reason to fail.
const patience = 300 * time.Second

type operand struct {
	Key        int
	Window     int64
	Start, End string
}

type question struct {
	Keys [][5]any
	Sets []struct {
		Operation, Field string
		Sets             []operand
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func instant(text string) *timestamppb.Timestamp {
	if text == "" {
		return nil
	}
	return timestamppb.New(must(time.Parse(time.RFC3339, text)))
}

func key(fields [5]any) *client.ByMeterKey {
	return &client.ByMeterKey{
		Serial:  must(strconv.ParseUint(fields[0].(string), 10, 64)),
		Floor:   must(strconv.ParseInt(fields[1].(string), 10, 64)),
		Indoors: fields[2].(bool),
		Since:   instant(fields[3].(string)),
		Place:   fields[4].(string),
	}
}

func plain[M proto.Message](messages []M) []json.RawMessage {
	out := []json.RawMessage{}
	for _, message := range messages {
		out = append(out, must(protojson.Marshal(message)))
	}
	return out
}

func main() {
	var q question
	if err := json.Unmarshal([]byte(os.Args[2]), &q); err != nil {
		log.Fatal(err)
	}
	asking := must(client.NewByMeterClient(os.Args[1], client.WithTimeout(patience)))
	defer asking.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()

	var keys []*client.ByMeterKey
	var one []*pb.ByMeterServiceGetResponse
	for _, fields := range q.Keys {
		keys = append(keys, key(fields))
		one = append(one, must(asking.Get(ctx, key(fields))))
	}
	var watched []*pb.ByMeterEntry
	for reply, err := range asking.WatchMany(ctx, keys, 0) {
		watched = must(reply, err).GetEntries()
		break
	}
	var sets []*pb.ByMeterServiceCombineSetsResponse
	for _, asked := range q.Sets {
		var operands []*pb.ByMeterServiceSetOperand
		for _, of := range asked.Sets {
			operand := &pb.ByMeterServiceSetOperand{Key: keys[of.Key], Start: instant(of.Start), End: instant(of.End)}
			if of.Window != 0 {
				operand.Window = durationpb.New(time.Duration(of.Window) * time.Second)
			}
			operands = append(operands, operand)
		}
		operation := murmur.SetOperation(murmur.SetOperation_value[asked.Operation])
		sets = append(sets, must(asking.CombineSets(ctx, operands, operation, asked.Field)))
	}
	answers := map[string]any{
		"one":     plain(one),
		"many":    plain(must(asking.GetMany(ctx, keys))),
		"watched": plain(watched),
		"sets":    plain(sets),
	}
	fmt.Println(string(must(json.Marshal(answers))))
}
