// The fields in German.

import type { Words } from "./words";

export const de: Words = {
  number: "Kartennummer",
  expiry: "Gültig bis",
  cvc: "Prüfnummer",
  name: "Name auf der Karte",
  expiryHint: "MM / JJ",
  cvcBack: "Die letzten 3 Ziffern auf der Rückseite der Karte",
  cvcFront: "4 Ziffern auf der Vorderseite der Karte",
  incomplete_number: "Die Kartennummer ist unvollständig.",
  incomplete_expiry: "Das Ablaufdatum der Karte ist unvollständig.",
  incomplete_cvc: "Die Prüfnummer der Karte ist unvollständig.",
  incomplete_name: "Bitte geben Sie den Namen auf der Karte ein.",
  invalid_number: "Die Kartennummer ist nicht gültig. Bitte prüfen Sie sie.",
  invalid_expiry: "Das ist kein gültiger Monat mit Jahr.",
  invalid_cvc: "Die Prüfnummer der Karte ist nicht gültig.",
  invalid_name: "Bitte geben Sie den Namen so ein, wie er auf der Karte steht.",
  expired_card: "Die Karte ist abgelaufen. Bitte verwenden Sie eine andere.",
  brand_not_accepted: "Karten dieser Art werden hier nicht angenommen.",
  card_refused: "Die Karte wurde nicht angenommen. Bitte prüfen Sie Ihre Eingabe.",
  session_expired: "Die Seite war zu lange geöffnet. Bitte versuchen Sie es noch einmal.",
  session_used_up: "Es wurden zu viele Karten eingegeben. Bitte laden Sie die Seite neu.",
  network: "Keine Verbindung. Es wurde nichts abgebucht; bitte versuchen Sie es noch einmal.",
  rate_limited: "Zu viele Versuche. Bitte warten Sie einen Moment und versuchen Sie es noch einmal.",
  unavailable: "Zurzeit können keine Karten angenommen werden. Bitte versuchen Sie es gleich noch einmal.",
};
