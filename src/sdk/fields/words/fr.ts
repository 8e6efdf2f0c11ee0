// The fields in French.

import type { Words } from "./words";

export const fr: Words = {
  number: "Numéro de carte",
  expiry: "Date d’expiration",
  cvc: "Code de sécurité",
  name: "Nom sur la carte",
  expiryHint: "MM / AA",
  cvcBack: "Les 3 derniers chiffres au dos de la carte",
  cvcFront: "Les 4 chiffres au recto de la carte",
  incomplete_number: "Le numéro de votre carte est incomplet.",
  incomplete_expiry: "La date d’expiration de votre carte est incomplète.",
  incomplete_cvc: "Le code de sécurité de votre carte est incomplet.",
  incomplete_name: "Veuillez saisir le nom figurant sur votre carte.",
  invalid_number: "Le numéro de votre carte n’est pas valide. Veuillez le vérifier.",
  invalid_expiry: "Ce mois et cette année ne sont pas valides.",
  invalid_cvc: "Le code de sécurité de votre carte n’est pas valide.",
  invalid_name: "Veuillez saisir le nom tel qu’il est imprimé sur votre carte.",
  expired_card: "Votre carte a expiré. Veuillez en utiliser une autre.",
  brand_not_accepted: "Les cartes de ce type ne sont pas acceptées ici.",
  card_refused: "Cette carte n’a pas été acceptée. Veuillez vérifier votre saisie.",
  session_expired: "Cette page est restée ouverte trop longtemps. Veuillez réessayer.",
  session_used_up: "Trop de cartes ont été saisies. Veuillez recharger la page.",
  network: "Pas de connexion. Rien n’a été débité ; veuillez réessayer.",
  rate_limited: "Trop de tentatives. Veuillez patienter un instant et réessayer.",
  unavailable: "Les cartes ne peuvent pas être acceptées pour le moment. Veuillez réessayer sous peu.",
};
