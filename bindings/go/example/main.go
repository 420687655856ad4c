// Sends an event, enqueues another, and reads the streak that they made.
//
// Needs TROPHY_API_KEY; with the sandbox also TROPHY_BASE_URL and TROPHY_ADMIN_BASE_URL.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	trophy "trophy.so/libtrophy"
)

func main() {
	log.SetFlags(0)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) (err error) {
	client, err := trophy.New(trophy.Options{})
	if err != nil {
		return err
	}
	defer func() {
		if _, closing := client.Close(ctx); err == nil {
			err = closing
		}
	}()
	client.OnDelivery(func(delivery trophy.Delivery) {
		fmt.Println("delivered", delivery.IdempotencyKey, delivery.Err)
	})

	reply, err := client.Event(ctx, trophy.Event{
		Metric: "words-written", User: trophy.User{ID: "18", Name: "Ada"}, Value: 750, IdempotencyKey: "chapter-1",
	})
	if err != nil {
		return err
	}
	fmt.Println("total", reply.Total)
	for _, achievement := range reply.Achievements {
		fmt.Println("achievement", achievement.Name)
	}

	_, err = client.Enqueue(trophy.Event{Metric: "chapters-read", User: trophy.User{ID: "18"}, Value: 1})
	if err != nil {
		return err
	}
	if _, err := client.Flush(ctx); err != nil {
		return err
	}

	streak, err := client.Streak(ctx, "18")
	if errors.Is(err, trophy.NotFound) {
		fmt.Println("no such user")
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Println("streak", streak.Length)
	return nil
}
