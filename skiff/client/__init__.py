"""What every component is built on: the REST client over two transports, informers, queue, controller runner, leader
election, event recorder. Knows the API's shapes (skiff.api) and nothing of any component."""
