-- Events that were given up are forgotten by age, as delivered ones are.
CREATE INDEX outbox_given_up ON outbox (due_ms) WHERE state = 'given_up';
