/// Invented answers of Apollo's, in the shapes its documentation shows.
enum ApolloFixture {
    static let organizationFull = #"""
        {
          "organization": {
            "id": "0f3a9c71d2b84e6012ab4c01",
            "name": "Nordlicht Freight GmbH",
            "website_url": "https://www.nordlicht.example.com",
            "blog_url": null,
            "angellist_url": null,
            "linkedin_url": "https://www.linkedin.example.com/company/nordlicht-freight",
            "twitter_url": "https://twitter.example.com/nordlichtfreight",
            "facebook_url": "https://facebook.example.com/nordlichtfreight",
            "crunchbase_url": null,
            "linkedin_uid": "900100200",
            "primary_phone": {
              "number": "+1 202-555-0142",
              "source": "Scraped",
              "sanitized_number": "+12025550142"
            },
            "phone": "+1 202-555-0142",
            "sanitized_phone": "+12025550142",
            "primary_domain": "nordlicht.example.com",
            "industry": "logistics & supply chain",
            "industries": [
              "logistics & supply chain"
            ],
            "secondary_industries": [],
            "keywords": [
              "cold chain",
              "baltic ferries",
              "customs brokerage"
            ],
            "languages": [
              "German",
              "English"
            ],
            "alexa_ranking": 481516,
            "estimated_num_employees": 240,
            "founded_year": 1998,
            "publicly_traded_symbol": null,
            "publicly_traded_exchange": null,
            "logo_url": "https://img.example.com/nordlicht.png",
            "raw_address": "Hafenstrasse 7, Kiel, Schleswig-Holstein, Germany, 24103",
            "street_address": "Hafenstrasse 7",
            "city": "Kiel",
            "state": "Schleswig-Holstein",
            "postal_code": "24103",
            "country": "Germany",
            "short_description": "Refrigerated freight between Kiel and the Baltic ports.",
            "seo_description": "Baltic cold-chain freight",
            "annual_revenue": 41250000,
            "annual_revenue_printed": "41.3M",
            "total_funding": 6200000,
            "total_funding_printed": "6.2M",
            "latest_funding_round_date": "2021-11-09T00:00:00.000+00:00",
            "latest_funding_stage": "Series A",
            "funding_events": [
              {
                "id": "f00d01",
                "date": "2021-11-09T00:00:00.000+00:00",
                "news_url": null,
                "type": "Series A",
                "investors": "Fjord Capital (invented)",
                "amount": "6.2M",
                "currency": "€"
              }
            ],
            "technology_names": [
              "Nginx",
              "HubSpot",
              "PostgreSQL"
            ],
            "current_technologies": [
              {
                "uid": "nginx",
                "name": "Nginx",
                "category": "Load Balancers"
              },
              {
                "uid": "hubspot",
                "name": "HubSpot",
                "category": "Marketing Automation"
              },
              {
                "uid": "postgresql",
                "name": "PostgreSQL",
                "category": "Databases"
              }
            ],
            "suborganizations": [],
            "num_suborganizations": 0,
            "retail_location_count": 0,
            "owned_by_organization_id": null,
            "a_field_added_later": {
              "ignored": true
            }
          }
        }
        """#

    static let organizationSparse = #"""
        {
          "organization": {
            "id": "0f3a9c71d2b84e6012ab4c02",
            "name": "Kleinbetrieb Umlaut & Söhne",
            "website_url": null,
            "primary_domain": "umlaut.example.org",
            "linkedin_url": null,
            "twitter_url": "",
            "facebook_url": null,
            "primary_phone": {},
            "phone": null,
            "industry": null,
            "keywords": null,
            "estimated_num_employees": 0,
            "founded_year": 0,
            "annual_revenue": null,
            "city": null,
            "state": null,
            "country": "Republic of Nowhere",
            "postal_code": null,
            "street_address": null,
            "total_funding": null,
            "latest_funding_stage": null,
            "latest_funding_round_date": null,
            "technology_names": [],
            "current_technologies": null,
            "logo_url": null
          }
        }
        """#

    static let personFull = #"""
        {
          "person": {
            "id": "7be210c4a95d4f3388e1d002",
            "first_name": "Marit",
            "last_name": "Oehlen",
            "name": "Marit Oehlen",
            "title": "Head of Operations",
            "headline": "Head of Operations at Nordlicht Freight",
            "email": "marit.oehlen@nordlicht.example.com",
            "email_status": "verified",
            "extrapolated_email_confidence": null,
            "personal_emails": [],
            "linkedin_url": "https://www.linkedin.example.com/in/marit-oehlen",
            "twitter_url": null,
            "github_url": "https://github.example.com/moehlen",
            "facebook_url": null,
            "photo_url": "https://img.example.com/marit.jpg",
            "city": "Kiel",
            "state": "Schleswig-Holstein",
            "country": "Germany",
            "seniority": "head",
            "departments": [
              "operations"
            ],
            "subdepartments": [
              "logistics"
            ],
            "functions": [
              "operations"
            ],
            "phone_numbers": [
              {
                "raw_number": "(202) 555-0177",
                "sanitized_number": "+12025550177",
                "type": "work_direct",
                "position": 0,
                "status": "valid_number"
              }
            ],
            "organization_id": "0f3a9c71d2b84e6012ab4c01",
            "organization": {
              "id": "0f3a9c71d2b84e6012ab4c01",
              "name": "Nordlicht Freight GmbH",
              "website_url": "https://www.nordlicht.example.com",
              "primary_domain": "nordlicht.example.com",
              "industry": "logistics & supply chain",
              "estimated_num_employees": 240,
              "city": "Kiel",
              "country": "Germany",
              "phone": "+1 202-555-0142"
            },
            "employment_history": [
              {
                "_id": "e1",
                "id": "e1",
                "key": "e1",
                "current": true,
                "title": "Head of Operations",
                "organization_id": "0f3a9c71d2b84e6012ab4c01",
                "organization_name": "Nordlicht Freight GmbH",
                "start_date": "2019-04-01",
                "end_date": null,
                "degree": null,
                "kind": null
              },
              {
                "_id": "e2",
                "id": "e2",
                "key": "e2",
                "current": false,
                "title": "Dispatcher",
                "organization_id": null,
                "organization_name": "Skagen Lines (invented)",
                "start_date": "2013-02-01",
                "end_date": "2019-03-01",
                "degree": null,
                "kind": null
              }
            ],
            "is_likely_to_engage": true,
            "intent_strength": null,
            "show_intent": false,
            "revealed_for_current_team": true
          }
        }
        """#

    static let personWithoutOrganization = #"""
        {
          "person": {
            "id": "7be210c4a95d4f3388e1d003",
            "first_name": "Ines",
            "last_name": null,
            "name": "Ines",
            "title": null,
            "headline": null,
            "email": "email_not_unlocked@domain.com",
            "email_status": "unavailable",
            "linkedin_url": "https://www.linkedin.example.com/in/ines-example",
            "twitter_url": null,
            "github_url": null,
            "photo_url": null,
            "city": null,
            "state": null,
            "country": null,
            "seniority": null,
            "departments": [],
            "functions": null,
            "organization_id": null,
            "organization": null,
            "employment_history": []
          }
        }
        """#
}
